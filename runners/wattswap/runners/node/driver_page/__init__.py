"""The page of a car's driver, served by the car's own node."""
