"""Access: who may do what. Issues credentials; owns no fact of the market."""
