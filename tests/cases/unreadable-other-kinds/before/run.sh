docker run ghcr.io/acme/api:1.4.2
