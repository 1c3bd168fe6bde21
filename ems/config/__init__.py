"""What a site file may say, and how it is read."""
