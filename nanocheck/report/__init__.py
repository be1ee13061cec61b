"""What came out, for people: data as JSON, a page of Markdown, and the few lines a terminal and CI show.

Everything here is a pure function of records, verdicts and comparisons; the date is passed in.
"""
