"""What an export or an inspection has to say, as data: records, decisions, diagnosis of statistics."""
