"""A whole street as processes on the wall clock: nobody orders what happens when."""
