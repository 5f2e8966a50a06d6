"""What several tests use: tiny encoders and trainers, toy runs, stand-ins for servers and browsers."""
