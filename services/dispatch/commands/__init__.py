"""Use cases of dispatch, called by routes, handlers and the planning loop alike."""
