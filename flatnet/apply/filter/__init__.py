"""What may reach an instance: rules, guard and connections."""
