"""The sandbox: small invented worlds in the file formats of the real sources, with the truth about them."""
