# A room is a folder of cpp/: one static library ctrd_<room>, and one test program ctrd_<room>_test from
# tests/cpp/<room>/. Sources are found by glob, so no file can be forgotten; a room not written yet is skipped.

# ctrd_room(<name> [DEPENDS <rooms>] [LIBS <targets>] [PROGRAM <name>])
#   PROGRAM: cpp/<name>/main.cpp is that program; it is not part of the library.
function(ctrd_room name)
  cmake_parse_arguments(ROOM "" "PROGRAM" "DEPENDS;LIBS" ${ARGN})
  list(TRANSFORM ROOM_DEPENDS PREPEND ctrd_)
  file(GLOB sources CONFIGURE_DEPENDS cpp/${name}/*.cpp)
  if(ROOM_PROGRAM)
    list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  endif()
  if(sources)
    set(scope PUBLIC)
    add_library(ctrd_${name} STATIC ${sources})
  else()
    set(scope INTERFACE)
    add_library(ctrd_${name} INTERFACE)
  endif()
  target_link_libraries(ctrd_${name} ${scope} ctrd_flags ${ROOM_DEPENDS} ${ROOM_LIBS})
  if(ROOM_PROGRAM AND EXISTS ${CMAKE_SOURCE_DIR}/cpp/${name}/main.cpp)
    ctrd_program(${ROOM_PROGRAM} ${name})
  endif()
  if(CTRD_TESTS)
    ctrd_room_test(${name})
  endif()
endfunction()

# The shim: static, so that it starts fast and runs in any mount namespace; sanitizers cannot do that.
function(ctrd_program program room)
  add_executable(${program} cpp/${room}/main.cpp)
  target_link_libraries(${program} PRIVATE ctrd_${room})
  if(NOT CTRD_SANITIZE)
    set_target_properties(${program} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_link_options(${program} PRIVATE -static -no-pie)
  endif()
  install(TARGETS ${program} COMPONENT python RUNTIME DESTINATION ctrd/_bin)
  if(CTRD_TESTS)
    # The same, for tests that put a library of their own between it and the system (clocks).
    add_executable(${program}-dynamic cpp/${room}/main.cpp)
    target_link_libraries(${program}-dynamic PRIVATE ctrd_${room})
  endif()
endfunction()

# Links all of tests/cpp/<name>/ into one program and registers each of its tests as <name>.<suite>.<test>.
# A main.cpp there replaces gtest's; cpp/<name>/*.proto are compiled in, as the codecs' oracle.
function(ctrd_room_test name)
  file(GLOB sources CONFIGURE_DEPENDS tests/cpp/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  set(test ctrd_${name}_test)
  add_executable(${test} ${sources})
  target_include_directories(${test} PRIVATE ${CMAKE_SOURCE_DIR}/tests/cpp)
  target_compile_definitions(${test} PRIVATE CTRD_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  # Tests are compiled once and run once: compiling them fast is what counts.
  target_compile_options(${test} PRIVATE -O0 -g1)
  target_link_libraries(${test} PRIVATE ctrd_${name} ctrd_test_support GTest::gtest)
  find_library(CTRD_GMOCK NAMES gmock)
  target_link_libraries(${test} PRIVATE ${CTRD_GMOCK})
  if(NOT EXISTS ${CMAKE_SOURCE_DIR}/tests/cpp/${name}/main.cpp)
    target_link_libraries(${test} PRIVATE GTest::gtest_main)
  endif()
  ctrd_protos(${test} ${name})
  gtest_discover_tests(
    ${test} TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 120
    PROPERTIES TIMEOUT 120 ENVIRONMENT "CTRD_SHIM=${CMAKE_BINARY_DIR}/bin/containerd-shim-ctrd-v2")
endfunction()

# Adds protoc's classes of cpp/<room>/*.proto: #include "x.pb.h" (or "<room>/x.pb.h").
function(ctrd_protos test room)
  file(GLOB protos CONFIGURE_DEPENDS cpp/${room}/*.proto)
  set(out ${CMAKE_BINARY_DIR}/proto/${room})
  foreach(proto IN LISTS protos)
    get_filename_component(stem ${proto} NAME_WE)
    add_custom_command(
      OUTPUT ${out}/${stem}.pb.cc ${out}/${stem}.pb.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${out}
      COMMAND ${CTRD_PROTOC} -I ${CMAKE_SOURCE_DIR}/cpp/${room} --cpp_out=${out} ${proto}
      DEPENDS ${protos} VERBATIM)
    target_sources(${test} PRIVATE ${out}/${stem}.pb.cc)
    set_source_files_properties(${out}/${stem}.pb.cc PROPERTIES COMPILE_OPTIONS "-w")
  endforeach()
  if(protos)
    target_include_directories(${test} SYSTEM PRIVATE ${out} ${CMAKE_BINARY_DIR}/proto)
    target_link_libraries(${test} PRIVATE ${CTRD_PROTOBUF})
  endif()
endfunction()

# tests/cpp/support/ is shared by all test programs; tests/cpp/house/ tests the tree itself (layering).
function(ctrd_house_tests)
  if(NOT CTRD_TESTS)
    return()
  endif()
  file(GLOB support CONFIGURE_DEPENDS tests/cpp/support/*.cpp)
  if(support)
    add_library(ctrd_test_support STATIC ${support})
    target_include_directories(ctrd_test_support PUBLIC ${CMAKE_SOURCE_DIR}/tests/cpp)
    target_compile_definitions(ctrd_test_support PRIVATE CTRD_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_link_libraries(ctrd_test_support PUBLIC ctrd_base GTest::gtest)
  else()
    add_library(ctrd_test_support INTERFACE)
  endif()
  add_library(ctrd_house INTERFACE)
  target_link_libraries(ctrd_house INTERFACE ctrd_base)
  ctrd_room_test(house)
  # What is so inside a container, told by a program that needs nothing there: for tests/py/test_defaults.py.
  if(NOT CTRD_SANITIZE)
    add_executable(ctrd_inside tests/cpp/inside/inside.cpp)
    target_link_libraries(ctrd_inside PRIVATE ctrd_flags)
    set_target_properties(ctrd_inside PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_link_options(ctrd_inside PRIVATE -static -no-pie)
  endif()
  foreach(user shim engine)
    if(TARGET ctrd_${user}_test AND TARGET containerd-shim-ctrd-v2)
      add_dependencies(ctrd_${user}_test containerd-shim-ctrd-v2)
    endif()
  endforeach()
endfunction()

# The Python module ctrd._core, and <build>/python/ctrd: the package as it would be installed, for
# PYTHONPATH. A plain build finds pybind11 through .venv (scripts/setup venv) or the Python on PATH.
function(ctrd_python_module)
  file(GLOB sources CONFIGURE_DEPENDS bindings/*.cpp)
  if(NOT CTRD_BINDINGS OR NOT sources)
    return()
  endif()
  if(NOT DEFINED SKBUILD AND EXISTS ${CMAKE_SOURCE_DIR}/.venv/bin/python)
    set(Python_EXECUTABLE ${CMAKE_SOURCE_DIR}/.venv/bin/python)
  endif()
  set(PYBIND11_FINDPYTHON ON)
  find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
  if(NOT pybind11_DIR)
    execute_process(COMMAND ${Python_EXECUTABLE} -m pybind11 --cmakedir
                    OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  find_package(pybind11 3 CONFIG QUIET)
  if(NOT pybind11_FOUND)
    if(DEFINED SKBUILD)
      message(FATAL_ERROR "pybind11 >= 3 is missing: it is in pyproject.toml's build requirements")
    endif()
    message(WARNING "no pybind11 >= 3 for ${Python_EXECUTABLE}: the Python module is not built "
                    "(run scripts/setup venv)")
    return()
  endif()
  pybind11_add_module(_core MODULE NO_EXTRAS ${sources})
  target_include_directories(_core PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(_core PRIVATE ctrd_engine)
  target_link_options(_core PRIVATE -Wl,--exclude-libs,ALL)
  target_compile_definitions(_core PRIVATE CTRD_VERSION="${CTRD_VERSION}")
  set_target_properties(_core PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/python/ctrd)
  install(TARGETS _core COMPONENT python LIBRARY DESTINATION ctrd)
  if(NOT DEFINED SKBUILD)
    ctrd_python_tree()
  endif()
endfunction()

function(ctrd_python_tree)
  set(package ${CMAKE_BINARY_DIR}/python/ctrd)
  add_custom_target(
    ctrd_python ALL
    COMMAND ${CMAKE_COMMAND} -E copy_directory ${CMAKE_SOURCE_DIR}/python/ctrd ${package}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${package}/_bin VERBATIM)
  add_dependencies(ctrd_python _core)
  if(TARGET containerd-shim-ctrd-v2)
    add_custom_command(
      TARGET ctrd_python POST_BUILD
      COMMAND ${CMAKE_COMMAND} -E copy_if_different $<TARGET_FILE:containerd-shim-ctrd-v2>
              ${package}/_bin VERBATIM)
    add_dependencies(ctrd_python containerd-shim-ctrd-v2)
  endif()
  install(DIRECTORY python/ctrd COMPONENT python DESTINATION . PATTERN __pycache__ EXCLUDE)
endfunction()
