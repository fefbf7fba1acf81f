"""What can be run, and what a running function knows about itself."""
