"""How good masks are, and how far a prediction of that can be trusted."""
