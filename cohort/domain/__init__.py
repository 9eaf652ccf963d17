"""What the field means: spine, clock, outcomes and the study definition."""
