# Makes each TEST_CASE of a test program a test of ctest. Run after the program is linked:
#   cmake -DPROGRAM=FILE -DLABEL=unit|simulation|kernel -DOUTPUT=FILE -P discover.cmake
#
# Catch2 2.13 brings such a script, but it takes a semicolon in a name for the end of the name.
# A kernel test changes the machine and so never runs beside another. `-w NoTests`: a name that Catch2 does not find
# again is a failure, not an empty success.

execute_process(COMMAND ${PROGRAM} --list-test-names-only OUTPUT_VARIABLE names RESULT_VARIABLE status)
if(NOT status MATCHES "^[01]$" OR names STREQUAL "")  # Catch2 gives the number of tests, and main.cpp makes that 1
  message(FATAL_ERROR "${PROGRAM} does not list its tests: ${status}")
endif()

set(alone FALSE)
if(LABEL STREQUAL kernel)
  set(alone TRUE)
endif()
set(script "")
while(names MATCHES "^([^\n]+)\n+")  # no foreach: in a list, brackets and semicolons of a name would count
  set(name "${CMAKE_MATCH_1}")
  string(LENGTH "${CMAKE_MATCH_0}" length)
  string(SUBSTRING "${names}" ${length} -1 names)
  string(REGEX REPLACE "([][,\\\"])" "\\\\\\1" pattern "${name}")
  string(REGEX REPLACE "^-" "\\\\-" pattern "${pattern}")  # else Catch2 takes it for an option
  string(APPEND script "add_test([==[${name}]==] [==[${PROGRAM}]==] [==[${pattern}]==] -w NoTests)\n"
    "set_tests_properties([==[${name}]==] PROPERTIES LABELS ${LABEL} TIMEOUT 300 RUN_SERIAL ${alone}"
    " SKIP_RETURN_CODE 77 ENVIRONMENT ORLOP_SKIP_STATUS=77)\n")
endwhile()
file(WRITE ${OUTPUT} "${script}")
