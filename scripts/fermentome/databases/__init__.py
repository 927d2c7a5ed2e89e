"""Reference databases: what they hold, where they are kept, and how they get there."""
