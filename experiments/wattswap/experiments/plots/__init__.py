"""A run as one picture: the load under the limit, what each car did, what it cost and who earned."""
