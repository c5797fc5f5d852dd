// Gives the precompiled header of Catch2 an object to belong to; every test program reuses it.
