"""What can be done with a destination: status, report, release."""
