"""From prose to variants; the whole way is tried in test_freeform_campaign.py."""
