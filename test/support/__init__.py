"""What test files share: small policies, fake nodes, made-up recordings. Test files do not import each other."""
