"""What is asked of a street: runs and comparisons, figures, tables, pictures and reports."""
