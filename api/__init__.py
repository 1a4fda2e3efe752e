"""HTTP only: blueprints by noun, the schemas of what they take and give, and the guard at the door."""
