"""What people look at: the review page of a run, contact sheets and charts."""
