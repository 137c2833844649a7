"""The cables behind a transformer: what a finished run means for volts, phases and amperes on a real feeder."""
