"""Who is active: epoch, servers, fences, admission, promotion."""
