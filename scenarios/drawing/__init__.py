"""Pictures of scenarios: who takes part, who is asked for what in which order, and who hears whom."""
