"""What is refused, by Salesforce or on the way to it: what it means, and what is tried again."""
