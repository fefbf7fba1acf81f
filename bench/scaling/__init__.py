"""What a job costs a server, and how many machines that makes: measured, then simulated."""
