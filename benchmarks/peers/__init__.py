"""What a user would write instead, as a competent one would: one file for each job."""
