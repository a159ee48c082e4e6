# What Debian gives us, each as a target of one name. A target is made only if the package is there;
# the room that needs it then fails at its own include, which names the header.
find_package(Threads REQUIRED)
find_package(Boost 1.81 QUIET)
if(NOT TARGET Boost::headers)
  message(FATAL_ERROR "Boost 1.81 headers are missing: run scripts/setup packages")
endif()

# ctrd_header_library(<target> <header>): a library that is headers only, in the system's include path.
function(ctrd_header_library target header)
  find_path(${target}_INCLUDE ${header} REQUIRED)
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE ${${target}_INCLUDE})
endfunction()

ctrd_header_library(ctrd_protozero protozero/pbf_reader.hpp)
ctrd_header_library(ctrd_json nlohmann/json.hpp)
ctrd_header_library(ctrd_fmt fmt/format.h)
target_compile_definitions(ctrd_fmt INTERFACE FMT_HEADER_ONLY)

# Debian's archive of LevelDB is position independent and so fits into a Python module; those of snappy, zstd and RE2 are
# not, so the shared ones are used (auditwheel bundles them).
ctrd_header_library(ctrd_leveldb leveldb/db.h)
find_library(CTRD_LEVELDB_A NAMES libleveldb.a REQUIRED)
find_library(CTRD_SNAPPY NAMES snappy REQUIRED)
target_link_libraries(ctrd_leveldb INTERFACE ${CTRD_LEVELDB_A} ${CTRD_SNAPPY} Threads::Threads)

ctrd_header_library(ctrd_zstd zstd.h)
find_library(CTRD_ZSTD NAMES zstd REQUIRED)
target_link_libraries(ctrd_zstd INTERFACE ${CTRD_ZSTD})

ctrd_header_library(ctrd_re2 re2/re2.h)
find_library(CTRD_RE2 NAMES re2 REQUIRED)
target_link_libraries(ctrd_re2 INTERFACE ${CTRD_RE2})

ctrd_header_library(ctrd_crypto openssl/evp.h)
find_library(CTRD_CRYPTO NAMES crypto REQUIRED)
target_link_libraries(ctrd_crypto INTERFACE ${CTRD_CRYPTO})

if(CTRD_TESTS)
  find_package(GTest REQUIRED)
  find_program(CTRD_PROTOC protoc REQUIRED)
  find_library(CTRD_PROTOBUF NAMES protobuf REQUIRED)
  find_package(benchmark QUIET)
  include(GoogleTest)
  enable_testing()
endif()
