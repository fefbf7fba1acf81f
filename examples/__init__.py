"""Ten small programs that show request tasks and jobs at work; README.md tells of each."""
