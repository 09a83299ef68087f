"""Reports as one HTML file that needs no network: pictures and style are inside."""
