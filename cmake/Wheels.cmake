# Arrow C++ from the pinned pyarrow wheel: headers and shared libraries live inside the wheel, without CMake or
# pkg-config files, so the targets are made here. tools/bootstrap creates the venv; this file only looks into it.
set(LONGBOW_VENV "${CMAKE_SOURCE_DIR}/build/venv" CACHE PATH "Python venv that holds the pyarrow wheel")
if(NOT EXISTS "${LONGBOW_VENV}/bin/python")
  message(FATAL_ERROR "no Python venv at ${LONGBOW_VENV}: run 'make bootstrap' first")
endif()
execute_process(COMMAND "${LONGBOW_VENV}/bin/python" -c "import pyarrow; print(pyarrow.__path__[0])"
  OUTPUT_VARIABLE LONGBOW_ARROW_DIR OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS "${LONGBOW_ARROW_DIR}/include/arrow/util/config.h" _so REGEX "ARROW_SO_VERSION")
string(REGEX REPLACE ".*\"([0-9]+)\".*" "\\1" LONGBOW_ARROW_SO "${_so}")

foreach(_lib Arrow:arrow Compute:arrow_compute Parquet:parquet)
  string(REPLACE ":" ";" _pair ${_lib})
  list(GET _pair 0 _name)
  list(GET _pair 1 _file)
  add_library(Arrow::${_name} SHARED IMPORTED GLOBAL)
  set_target_properties(Arrow::${_name} PROPERTIES IMPORTED_LOCATION "${LONGBOW_ARROW_DIR}/lib${_file}.so.${LONGBOW_ARROW_SO}")
  target_include_directories(Arrow::${_name} SYSTEM INTERFACE "${LONGBOW_ARROW_DIR}/include")
  if(NOT _name STREQUAL "Arrow")
    target_link_libraries(Arrow::${_name} INTERFACE Arrow::Arrow)
  endif()
endforeach()
# The linker would otherwise not find what the wheel's libraries need of each other.
add_link_options("LINKER:-rpath-link,${LONGBOW_ARROW_DIR}")
# The wheel's libparquet exports a simdjson of its own, newer than the one our headers belong to. Ours must come first in the
# order of lookup, or half of our parser would be theirs (tests/node/test_binary.py). Theirs is used for geography columns only.
add_link_options("LINKER:--push-state,--no-as-needed,-lsimdjson,--pop-state")
