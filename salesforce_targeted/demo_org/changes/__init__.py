"""Do what people and systems do to an org: each change moves the stamps that Salesforce would."""
