// Read from a disk, a page may not fetch another one, so the results of a search come without a summary of each.

if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
