#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_fold", .m_size = -1};
PyMODINIT_FUNC PyInit__fold(void) { return PyModule_Create(&module); }
