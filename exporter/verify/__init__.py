"""Whether exported files give the numbers they should: engines, what is the truth, how much is noise, the verdict."""
