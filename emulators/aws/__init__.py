"""What AWS's services share: models, signatures, the languages of their filters."""
