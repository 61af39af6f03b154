"""What the stack in containers needs of us: its passwords once, its topics at every start."""
