"use strict";

// Draws the charts of a page with uPlot. The element "charts" holds their data (reporting/page/chart.py).
(function () {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const sync = uPlot.sync("charts");
  const HEIGHT = 230;

  function formatted(chart, value) {
    if (value == null) return "–";
    if (chart.isShare) return (100 * value).toFixed(1) + " %";
    const size = Math.abs(value);
    if (size >= 1e5 || (size > 0 && size < 1e-3)) return value.toExponential(1);
    return String(Number(value.toPrecision(3)));
  }

  function lineOf(series) {
    const known = series.y.filter((value) => value != null).length;
    const points = { show: known < 3, size: 6, fill: series.color }; // A curve of one point would not be seen.
    const style = { label: series.label, stroke: series.color, width: 1.8, spanGaps: true, points };
    if (series.style === "thin") style.width = 1;
    if (series.style === "dashed") Object.assign(style, { width: 1, dash: [6, 4] });
    if (series.style === "points") {
      Object.assign(style, { paths: () => null, points: { show: true, size: 4, fill: series.color, width: 0 } });
    }
    if (series.style === "crosses" || series.style === "intervals") {
      Object.assign(style, { paths: () => null, points: { show: true, size: 8, fill: series.color } });
    }
    if (series.style === "band") Object.assign(style, { width: 0, paths: () => null, points: { show: false } });
    return style;
  }

  // Draws the areas of bands and the bars of intervals, which uPlot does not draw by itself.
  function drawRanges(plot, chart) {
    const context = plot.ctx;
    const position = (value, axis) => plot.valToPos(value, axis, true);
    context.save();
    context.beginPath();
    context.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    context.clip();
    for (const series of chart.series) {
      if (!series.low) continue;
      const known = chart.x.map((_, i) => i).filter((i) => series.low[i] != null && series.high[i] != null);
      if (series.style === "band") {
        context.globalAlpha = 0.45;
        context.fillStyle = series.color;
        context.beginPath();
        known.forEach((i) => context.lineTo(position(chart.x[i], "x"), position(series.high[i], "y")));
        known.reverse().forEach((i) => context.lineTo(position(chart.x[i], "x"), position(series.low[i], "y")));
        context.closePath();
        context.fill();
      } else {
        context.globalAlpha = 1;
        context.strokeStyle = series.color;
        context.lineWidth = 2 * devicePixelRatio;
        for (const i of known) {
          const x = position(chart.x[i], "x");
          const [low, high] = [position(series.low[i], "y"), position(series.high[i], "y")];
          const cap = 4 * devicePixelRatio;
          context.beginPath();
          context.moveTo(x, low);
          context.lineTo(x, high);
          for (const y of [low, high]) {
            context.moveTo(x - cap, y);
            context.lineTo(x + cap, y);
          }
          context.stroke();
        }
      }
    }
    context.restore();
  }

  function verticalRange(chart) {
    const values = chart.series.flatMap((s) => [...s.y, ...(s.low || []), ...(s.high || [])]).filter((v) => v != null);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (chart.isShare) return chart.fromZero ? [0, Math.max(high, 0.05) * 1.05] : [-0.02, 1.02];
    if (chart.isLog) return [Math.min(low / 1.1, 0.8), Math.max(high * 1.1, 1.25)];
    if (chart.fromZero) low = Math.min(low, 0);
    const margin = (high - low || Math.abs(high) || 1) * 0.06;
    return [low === 0 && chart.fromZero ? 0 : low - margin, high + margin];
  }

  function horizontalRange(chart) {
    const [low, high] = [chart.x[0], chart.x[chart.x.length - 1]];
    const margin = (high - low || Math.abs(high) || 1) * 0.03;
    return [low - margin, high + margin];
  }

  function options(chart, width) {
    const range = verticalRange(chart);
    const axis = { font: "12px system-ui, sans-serif", stroke: "#3a424e", grid: { stroke: "#e3e7ee", width: 1 } };
    const ticks = chart.isLog ? { splits: () => logTicks(range), filter: (_, found) => found } : {};
    return {
      width,
      height: HEIGHT,
      cursor: { sync: { key: sync.key, setSeries: false }, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: { time: false, range: () => horizontalRange(chart) },
        y: { range: () => range, distr: chart.isLog ? 3 : 1, log: 2 },
      },
      axes: [
        { ...axis, label: chart.xLabel, labelSize: 18, labelFont: axis.font, size: 34, gap: 4 },
        { ...axis, ...ticks, size: 58, values: (_, found) => found.map((v) => tickText(chart, v)) },
      ],
      series: [
        { label: chart.xLabel, value: (_, v) => (v == null ? "–" : String(Math.round(v))) },
        ...chart.series.map((s) => ({ ...lineOf(s), value: (_, v, __, i) => legendText(chart, s, v, i) })),
      ],
      hooks: { drawAxes: [(plot) => drawRanges(plot, chart)] },
    };
  }

  function legendText(chart, series, value, index) {
    if (value == null || !series.low || series.low[index] == null) return formatted(chart, value);
    const range = formatted(chart, series.low[index]) + " to " + formatted(chart, series.high[index]);
    return series.style === "band" ? range : formatted(chart, value) + " (" + range + ")";
  }

  function tickText(chart, value) {
    if (value == null || (chart.isShare && (value < 0 || value > 1))) return "";
    return chart.isShare ? String(Number((100 * value).toPrecision(3))) + " %" : formatted(chart, value);
  }

  function logTicks([low, high]) {
    const all = [];
    const span = Math.log2(high / low);
    const factor = span > 12 ? 16 : span > 6 ? 4 : span > 2 ? 2 : Math.SQRT2;
    for (let tick = 1; tick <= high; tick *= factor) all.push(tick);
    for (let tick = 1 / factor; tick >= low; tick /= factor) all.unshift(tick);
    return all.filter((tick) => tick >= low);
  }

  for (const place of document.querySelectorAll("[data-chart]")) {
    const chart = charts[Number(place.dataset.chart)];
    let plot = null;
    const draw = () => {
      const width = place.clientWidth;
      if (width === 0) return; // It is inside of a part that is folded up.
      if (plot) plot.setSize({ width, height: HEIGHT });
      else plot = new uPlot(options(chart, width), [chart.x, ...chart.series.map((s) => s.y)], place);
    };
    draw();
    new ResizeObserver(draw).observe(place);
  }
})();
