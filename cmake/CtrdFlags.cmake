# Compiler and linker settings of everything that is ours (target ctrd_flags), and of the whole build.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

# One cache for all build folders and clones: paths below the root are hashed relative to the build folder.
find_program(CTRD_CCACHE ccache)
if(CTRD_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${CTRD_CCACHE})
endif()

add_library(ctrd_flags INTERFACE)
target_include_directories(ctrd_flags INTERFACE ${CMAKE_SOURCE_DIR}/cpp)
target_compile_options(
  ctrd_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -ffunction-sections -fdata-sections
  -Wno-restrict)  # false alarms of g++ 12 on std::string + (its PR105651)
target_link_options(ctrd_flags INTERFACE -Wl,--gc-sections)
if(CTRD_SANITIZE)
  list(JOIN CTRD_SANITIZE "," CTRD_SANITIZE_FLAG)
  # For all targets; -Werror stays off, for instrumented code draws false maybe-uninitialized alarms.
  add_compile_options(-fsanitize=${CTRD_SANITIZE_FLAG} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${CTRD_SANITIZE_FLAG})
else()
  target_compile_options(ctrd_flags INTERFACE -Werror)
endif()
if(CTRD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link -fno-sanitize=function)  # clang 14 cannot put it into coroutines
endif()
