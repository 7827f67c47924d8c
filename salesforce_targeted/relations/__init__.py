"""Read the rows that make records active: queries, pages, distinct ids."""
