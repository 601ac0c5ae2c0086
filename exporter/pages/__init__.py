"""Reports and verdicts as files: a page in HTML or Markdown for people, JSON and JUnit XML for programs."""
