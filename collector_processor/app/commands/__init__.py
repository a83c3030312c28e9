"""What a person does with journal and database: a module for each kind of command, with or without a processor."""
