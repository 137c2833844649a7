"""Who decides: transformer, charger, vehicle, household, stationary battery, and the law they share."""
