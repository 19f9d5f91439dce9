import sys

from speed_to_lead.cli import main

sys.exit(main())
