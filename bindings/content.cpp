// SPDX-License-Identifier: Apache-2.0
#include "bindings/call.h"
#include "bindings/rows.h"
#include "engine/gc.h"

namespace ctrd::bindings {

using content::Expected;
using content::Writer;
using engine::Engine;
using engine::LabelChange;
using engine::Labels;
using Id = const std::string&;
using Digest = std::optional<std::string>;
using Size = std::optional<uint64_t>;

namespace {

// A bytes-like object, borrowed: it can neither go nor move meanwhile.
class Borrowed {
 public:
  explicit Borrowed(const py::object& object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  }
  Borrowed(const Borrowed&) = delete;
  ~Borrowed() { PyBuffer_Release(&view_); }
  std::string_view bytes() const {
    return {static_cast<const char*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_;
};

void write(Writer& self, const py::object& data) {
  const Borrowed borrowed(data);
  call("ingest", {}, [&](const Wait&) { self.write(borrowed.bytes()); });
}

py::tuple commit(Writer& self, const Digest& digest, Size size, const Labels& labels) {
  return to_row(call("ingest", {}, [&](const Wait& wait) {
    return self.commit(Expected{digest, size}, labels, wait);
  }));
}

void bind_ingests(PyEngine& cls) {
  cls.def(
         "open_ingest",
         [](Engine& self, Id ns, Id ref, const Digest& digest, Size size, Id lease) {
           return call("ingest", {}, [&](const Wait& wait) {
             return self.content(wait).open_writer(ns, ref, {digest, size}, wait, lease);
           });
         },
         py::arg("ns"), py::arg("ref"), py::arg("digest"), py::arg("size"), py::arg("lease"),
         py::keep_alive<0, 1>())
      .def(
          "ingests",
          [](Engine& self, Id ns, const std::vector<std::string>& filters) {
            return to_rows(call("ingests", {}, [&](const Wait& wait) {
              return self.content(wait).ingests(ns, filters);
            }));
          },
          py::arg("ns"), py::arg("filters"))
      .def(
          "abort_ingest",
          [](Engine& self, Id ns, Id ref) {
            call("abort", {}, [&](const Wait& wait) { self.content(wait).abort(ns, ref); });
          },
          py::arg("ns"), py::arg("ref"));
}

void bind_blobs(PyEngine& cls) {
  cls.def(
         "open_blob",
         [](Engine& self, Id ns, Id digest) {
           return call("open", {},
                       [&](const Wait& wait) { return self.content(wait).open(ns, digest, wait); })
               .release();
         },
         py::arg("ns"), py::arg("digest"))
      .def(
          "blob",
          [](Engine& self, Id ns, Id digest) {
            return to_row(call("info", {}, [&](const Wait& wait) {
              return self.content(wait).records().get(ns, digest, wait);
            }));
          },
          py::arg("ns"), py::arg("digest"))
      .def(
          "blobs",
          [](Engine& self, Id ns, const std::vector<std::string>& filters) {
            return to_rows(call("list", {}, [&](const Wait& wait) {
              return self.content(wait).list(ns, filters, wait);
            }));
          },
          py::arg("ns"), py::arg("filters"))
      .def(
          "update_blob",
          [](Engine& self, Id ns, Id digest, const LabelChange& labels) {
            return to_row(call("update", {}, [&](const Wait& wait) {
              return self.content(wait).records().update(ns, digest, labels, wait);
            }));
          },
          py::arg("ns"), py::arg("digest"), py::arg("labels"))
      .def(
          "remove_blob",
          [](Engine& self, Id ns, Id digest) {
            call("delete", {},
                 [&](const Wait& wait) { engine::remove_content(self, ns, digest, wait); });
          },
          py::arg("ns"), py::arg("digest"));
}

}  // namespace

void bind_content(py::module_& module) {
  py::class_<Writer>(module, "Ingest")
      .def_property_readonly("is_shared", &Writer::is_shared)
      .def("status", [](const Writer& self) { return to_row(self.status()); })
      .def("write", write, py::arg("data"))
      .def("clear",
           [](Writer& self) { call("ingest", {}, [&](const Wait&) { self.truncate(0); }); })
      .def("commit", commit, py::arg("digest"), py::arg("size"), py::arg("labels"))
      .def("close", [](Writer& self) { call("close", {}, [&](const Wait&) { self.close(); }); });
}

void bind_content_verbs(PyEngine& cls) {
  bind_ingests(cls);
  bind_blobs(cls);
}

}  // namespace ctrd::bindings
