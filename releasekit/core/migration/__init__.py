"""What the configuration of another release tool says, in releasekit's words: texts in, one `ForeignSetup` out."""
