// For OHIF's app-config.js: studies come from the DICOMweb of an Orthanc behind the same address, nothing from elsewhere.
window.config = {
  routerBasename: "/",
  extensions: [],
  modes: [],
  showStudyList: true,
  defaultDataSourceName: "orthanc",
  dataSources: [{
    namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
    sourceName: "orthanc",
    configuration: {
      friendlyName: "Orthanc",
      name: "orthanc",
      qidoRoot: "/dicom-web",
      wadoRoot: "/dicom-web",
      wadoUriRoot: "/wado",
      imageRendering: "wadors",
      thumbnailRendering: "wadors",
      enableStudyLazyLoad: true,
      qidoSupportsIncludeField: false,
      supportsFuzzyMatching: false,
      supportsWildcard: true,
      omitQuotationForMultipartRequest: true,
    },
  }],
};
