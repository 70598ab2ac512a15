"""What is known of every photo: the records of a destination."""
