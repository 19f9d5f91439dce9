"""What a competent user would write instead, one file each: the same server and settings, the same writes."""
