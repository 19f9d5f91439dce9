"""What a competent user would write instead, one file each, against the same server and with the same writes."""
